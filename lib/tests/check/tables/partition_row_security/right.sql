alter table t1 enable row level security;
