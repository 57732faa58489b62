-- Brenn, 900 customers in four pressure zones, at release 1.1.0 of the model.
-- Changes what the deltas up to 1.1.0 made as a local hand did, then fills the tables.

-- What no release of the model knows: made by hand in Brenn over the years, for good reasons.

-- "The fire brigade wants to see hydrants every two years, not every year."
create or replace view water.hydrant_inspection as
    select h.node, p.zone, p.pressure_bar, h.flow_l_min, h.inspected_on,
           coalesce(h.inspected_on < current_date - interval '2 years', true) as due
      from water.hydrant h
      join water.node_pressure p on p.id = h.node;

-- "Hospital and brewery must be called before the water is cut."
alter table water.customer add column call_first boolean;

-- "Somebody had to enter a pipe of 16 millimetres."
alter table water.pipe drop constraint pipe_diameter_mm_check;


-- The data

insert into water_sys.setting values ('town', 'Brenn');

insert into water.pressure_zone (id, code, name, fed_by, lowest_m, highest_m, head_m) values
    (4, 'BR04', 'Plateau', null, 690, 760, 812),
    (3, 'BR03', 'Hillside', 4, 655, 700, 760),
    (2, 'BR02', 'Station', 3, 620, 665, 722),
    (1, 'BR01', 'Lower Brenn', 2, 580, 630, 688);
select setval('water.pressure_zone_id_seq', 4);

-- Streets: 36 rows of 40 nodes.
insert into water.node (id, kind, x, y, ground_m, zone)
select id,
       case
           when id = 1440 then 'tank'
           when id = 1439 then 'source'
           when mod(street, 9) = 0 and mod(place, 8) = 0 then 'valve'
           when mod(id, 13) = 0 then 'valve'
           when mod(id, 8) = 5 then 'hydrant'
           else 'junction'
       end,
       634000 + place * 38 + mod(id * 7919, 19) - 9,
       5201000 + street * 52 + mod(id * 104729, 21) - 10,
       582 + street * 4.5 + mod(id * 31, 9),
       (street + 8) / 9
  from generate_series(1, 36) street, generate_series(1, 40) place, lateral (select (street - 1) * 40 + place as id) numbered
 order by id;

insert into water.node (id, kind, x, y, ground_m, zone)
select 2000 + n, 'connection', x + 4, y + 8 + mod(n, 7), ground_m, zone
  from generate_series(1, 900) n
  join water.node on node.id = 1 + mod(n * 11, 1437)
 order by n;
select setval('water.node_id_seq', 2900);

insert into water.valve (node, design, closed, boundary)
select id,
       case when mod((id - 1) / 40 + 1, 9) = 0 then 'pressure reducing' when mod(id, 3) = 0 then 'butterfly' else 'gate' end,
       false,
       mod((id - 1) / 40 + 1, 9) = 0
  from water.node
 where kind = 'valve';

insert into water.hydrant (node, design, outlets_mm, flow_l_min, inspected_on)
select id,
       case when mod(id, 3) = 0 then 'pillar' else 'underground' end,
       case when mod(id, 3) = 0 then '{80,80}'::smallint[] else '{80}' end,
       900 + mod(id * 41, 700) / 2.0,
       date '2024-01-15' + mod(id * 19, 720)
  from water.node
 where kind = 'hydrant';

with pipe as (
    select a.id as from_node, b.id as to_node, a.zone, 80 + 25 * mod(a.id, 4) as diameter_mm, a.id * 5 as seed
      from water.node a
      join water.node b on b.id = a.id + 1
     where a.id < 1440 and mod(a.id, 40) <> 0
    union all
    select a.id, b.id, a.zone, 200 + 50 * mod(a.id, 3), a.id * 3
      from water.node a
      join water.node b on b.id = a.id + 40
     where b.id <= 1440 and mod(a.id, 8) = 0
    union all
    select 1 + mod((h.id - 2000) * 11, 1437), h.id, h.zone, 40, h.id
      from water.node h
     where h.kind = 'connection'
)
insert into water.pipe (from_node, to_node, zone, material, diameter_mm, laid_in, surveyed_m)
select p.from_node, p.to_node, p.zone,
       case when p.diameter_mm = 40 then 6 else mod(p.seed, 7) end,
       p.diameter_mm,
       case when mod(p.seed, 31) <> 0 then 1948 + mod(p.seed * 17, 76) end,
       case when mod(p.seed, 6) = 0 then round(sqrt((b.x - a.x) ^ 2 + (b.y - a.y) ^ 2) * 1.03, 2) end
  from pipe p
  join water.node a on a.id = p.from_node
  join water.node b on b.id = p.to_node
 order by p.from_node, p.to_node;

update water.pipe set status = 'disused', remark = 'replaced' where mod(id, 113) = 0;
update water.pipe set status = 'removed' where mod(id, 226) = 0;

insert into water.customer (name, street, house_number, postcode, email, phone, language, since)
select first || ' ' || last,
       (array['Station Road', 'Ridgeway', 'Sawmill Lane', 'Market Square', 'Lime Avenue', 'Spring Street'])[1 + mod(n, 6)],
       (1 + n / 6)::text,
       '3920',
       case when mod(n, 4) = 0 then lower(last) || '.' || n || '@example.net' end,
       case when mod(n, 4) <> 0 then '+99 27 ' || lpad((n * 9973)::text, 7, '0') end,
       case when mod(n, 5) = 0 then 'fr' else 'en' end,
       date '1979-04-01' + mod(n * 19, 46) * 365 + mod(n, 300)
  from generate_series(1, 900) n,
       lateral (select
           (array['Aline', 'Beat', 'Colin', 'Dora', 'Emil', 'Fiona', 'Gian', 'Heidi'])[1 + mod(n, 8)] as first,
           (array['Amherd', 'Bieri', 'Clausen', 'Dubois', 'Eggel', 'Fux', 'Gruber', 'Heinen', 'Imhof'])[1 + mod(n * 5, 9)] as last
       ) called
 order by n;

insert into water.meter (serial_number, node, customer, size_mm, installed_on)
select 'BR-' || lpad(n::text, 5, '0'), 2000 + n, n, case when mod(n, 50) = 0 then 50 else 20 end, date '2013-02-01' + mod(n, 330)
  from generate_series(1, 900) n
 order by n;

-- Read twice a year.
insert into water.reading (meter, read_on, value_m3, billed)
select m.id, day, (day - m.installed_on) * (45 + mod(m.customer * 59, 210)) / 365 + mod(m.customer * (day - m.installed_on), 19), day < '2025-12-31'
  from water.meter m, generate_series(timestamp '2014-07-01', '2026-01-01', interval '6 months') half,
       lateral (select half::date - 1 as day) ended
 order by day, m.id;
