-- New meters send litres: a reading has three decimals. And there are more readings than an integer counts.
-- This writes the whole table anew, under a lock that keeps everybody out.

-- PostgreSQL does not change the type of a column that a trigger names.
drop trigger reading_plausible on water.reading;

alter table water.reading
    alter column id type bigint,
    alter column value_m3 type numeric(12,3);
alter sequence water.reading_id_seq as bigint;

create or replace function water.check_reading() returns trigger
    language plpgsql
    as $$
declare
    earlier numeric;
begin
    select r.value_m3 into earlier
      from water.reading r
     where r.meter = new.meter and r.read_on < new.read_on
     order by r.read_on desc
     limit 1;
    if new.value_m3 < earlier then
        raise exception using
            errcode = 'check_violation',
            message = concat('meter ', new.meter, ' runs backwards on ', new.read_on),
            detail = concat(new.value_m3, ' after ', earlier);
    end if;
    return new;
end
$$;

create trigger reading_plausible before insert or update of meter, read_on, value_m3 on water.reading
    for each row execute function water.check_reading();

-- Two readings of a day may be swapped in one statement.
alter table water.reading
    drop constraint reading_meter_read_on_key,
    add constraint reading_meter_read_on_key unique (meter, read_on) deferrable;

create index reading_open_idx on water.reading (read_on, meter) where not billed;
