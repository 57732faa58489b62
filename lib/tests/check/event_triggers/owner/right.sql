update pg_event_trigger set evtowner = 'pum_a'::regrole;
