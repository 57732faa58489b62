-- Runs at the end of every upgrade, and is not recorded.

do $$
begin
    if to_regclass('water.zone_use') is not null then
        refresh materialized view water.zone_use;
    end if;
end
$$;
