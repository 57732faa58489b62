create view water.consumption as
    select r.meter, m.customer, n.zone, r.read_on,
           r.value_m3 - lag(r.value_m3) over earlier as used_m3,
           r.read_on - lag(r.read_on) over earlier as days,
           r.estimated
      from water.reading r
      join water.meter m on m.id = r.meter
      join water.node n on n.id = m.node
    window earlier as (partition by r.meter order by r.read_on);

create view water.consumption_by_year as
    select customer, extract(year from read_on)::integer as year, sum(used_m3) as used_m3
      from water.consumption
     where used_m3 is not null
     group by customer, extract(year from read_on)::integer;

create materialized view water.zone_use as
    select zone, extract(year from read_on)::integer as year, sum(used_m3) as used_m3
      from water.consumption
     where used_m3 is not null
     group by zone, extract(year from read_on)::integer;
create unique index zone_use_zone_year_idx on water.zone_use (zone, year);
comment on materialized view water.zone_use is 'Refreshed after each upgrade and each batch of readings';

update water_sys.setting set value = '1.2.0' where name = 'model_version';
