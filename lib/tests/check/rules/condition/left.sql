create rule x as on update to t where old.a > 0 do instead nothing;
