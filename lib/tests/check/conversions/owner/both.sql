do $$ begin create role pum_a; exception when duplicate_object or unique_violation then null; end $$;
do $$ begin create role pum_b; exception when duplicate_object or unique_violation then null; end $$;
create conversion c for 'LATIN1' to 'UTF8' from iso8859_1_to_utf8;
