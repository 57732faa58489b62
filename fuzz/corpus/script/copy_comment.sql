copy public.c from stdin; -- xcreate table public.lost();
1
\.
