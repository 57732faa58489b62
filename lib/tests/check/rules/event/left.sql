create rule x as on insert to t do nothing;
