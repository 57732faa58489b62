-- PostgreSQL 14 added an argument.
do $$
begin
    execute 'create function f(integer, integer, cstring, internal, integer'
        || case when current_setting('server_version_num')::integer >= 140000 then ', boolean) returns integer'
            else ') returns void' end
        || $f$ language c strict as '$libdir/utf8_and_iso8859_1', 'iso8859_1_to_utf8' $f$;
end
$$;
