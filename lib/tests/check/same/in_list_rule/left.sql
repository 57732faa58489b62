create rule x as on insert to t where new.b in ('a', 'b') do instead nothing;
