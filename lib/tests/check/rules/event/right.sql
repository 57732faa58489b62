create rule x as on delete to t do nothing;
