do $$ begin create role pum_a; exception when duplicate_object or unique_violation then null; end $$;
do $$ begin create role pum_b; exception when duplicate_object or unique_violation then null; end $$;
create operator class c for type integer using btree as
    operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >, function 1 btint4cmp(integer, integer);
