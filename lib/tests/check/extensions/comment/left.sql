comment on extension postgres_fdw is 'other servers';
