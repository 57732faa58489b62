create rule x as on update to t where old.a > 1 do instead nothing;
