-- Readings arrive in batches, by radio; which batch brought what is kept.

create table water.reading_batch (
    id integer generated always as identity constraint reading_batch_pkey primary key,
    arrived_at timestamp with time zone not null default now(),
    readings bigint not null,
    total_m3 numeric(14,3)
);
comment on table water.reading_batch is 'One row for each statement that brought readings';

create function water.record_batch() returns trigger
    language plpgsql
    as $$
begin
    insert into water.reading_batch (readings, total_m3)
    select count(*), sum(value_m3) from arrived having count(*) > 0;
    return null;
end
$$;

create trigger reading_batch after insert on water.reading
    referencing new table as arrived
    for each statement execute function water.record_batch();
