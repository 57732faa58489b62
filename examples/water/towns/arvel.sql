-- Arvel, 400 customers in three pressure zones; the water works still run release 1.0.0 of the model.
-- Fills the tables that the deltas up to 1.0.0 made.

insert into water_sys.setting values ('town', 'Arvel');

insert into water.pressure_zone (id, code, name, lowest_m, highest_m, head_m) values
    (1, 'AR01', 'Harbour', 410, 448, 492),
    (2, 'AR02', 'Old town', 440, 478, 524),
    (3, 'AR03', 'Vineyards', 470, 510, 556);
select setval('water.pressure_zone_id_seq', 3);

-- Streets: 30 rows of 24 nodes, uphill from the harbour.
insert into water.node (id, kind, x, y, ground_m, zone)
select id,
       case
           when id = 720 then 'tank'
           when id = 719 then 'source'
           when mod(street, 10) = 0 and mod(place, 6) = 0 then 'valve'
           when mod(id, 11) = 0 then 'valve'
           when mod(id, 7) = 3 then 'hydrant'
           else 'junction'
       end,
       512000 + place * 45 + mod(id * 7919, 17) - 8,
       5348000 + street * 60 + mod(id * 104729, 23) - 11,
       410 + street * 3 + mod(id * 31, 7),
       (street + 9) / 10
  from generate_series(1, 30) street, generate_series(1, 24) place, lateral (select (street - 1) * 24 + place as id) numbered
 order by id;

-- Houses: a connection for each customer, ten metres off the street.
insert into water.node (id, kind, x, y, ground_m, zone)
select 1000 + n, 'connection', x + 3, y + 10 + mod(n, 5), ground_m, zone
  from generate_series(1, 400) n
  join water.node on node.id = 1 + mod(n * 7, 718)
 order by n;
select setval('water.node_id_seq', 1400);

insert into water.valve (node, design, closed, boundary)
select id,
       case when mod(id, 3) = 0 then 'butterfly' else 'gate' end,
       mod((id - 1) / 24 + 1, 10) = 0 and mod(id, 12) = 0,
       mod((id - 1) / 24 + 1, 10) = 0
  from water.node
 where kind = 'valve';

insert into water.hydrant (node, design, outlets_mm, flow_l_min, inspected_on)
select id,
       case when mod(id, 4) = 0 then 'pillar' else 'underground' end,
       case when mod(id, 4) = 0 then '{80,80,100}'::smallint[] else '{80}' end,
       800 + mod(id * 37, 600) / 2.0,
       date '2024-03-01' + mod(id * 17, 700)
  from water.node
 where kind = 'hydrant';

-- What people typed over the years.
with typed(material) as (
    select array['cast iron', 'Grey cast iron', 'GGG', 'ductile iron', 'Steel', 'asbestos cement', 'AC (Eternit)',
                 'PVC-U', 'PE 80', 'pe100', 'polyethylene', ' ', null, 'lead?', 'cast iron', 'GG 1931']
), pipe as (
    select a.id as from_node, b.id as to_node, a.zone, 80 + 25 * mod(a.id, 4) as diameter_mm, a.id * 5 as seed
      from water.node a
      join water.node b on b.id = a.id + 1
     where a.id < 720 and mod(a.id, 24) <> 0
    union all
    select a.id, b.id, a.zone, 200 + 50 * mod(a.id, 2), a.id * 3
      from water.node a
      join water.node b on b.id = a.id + 24
     where b.id <= 720 and mod(a.id, 6) = 0
    union all
    select 1 + mod((h.id - 1000) * 7, 718), h.id, h.zone, 32, h.id
      from water.node h
     where h.kind = 'connection'
)
insert into water.pipe (from_node, to_node, zone, material, diameter_mm, laid_in, surveyed_m)
select p.from_node, p.to_node, p.zone,
       case when p.diameter_mm = 32 then 'PE 80' else typed.material[1 + mod(p.seed, 16)] end,
       p.diameter_mm,
       case when mod(p.seed, 23) <> 0 then 1931 + mod(p.seed * 13, 90) end,
       case when mod(p.seed, 5) = 0 then round(sqrt((b.x - a.x) ^ 2 + (b.y - a.y) ^ 2) * 1.04, 2) end
  from pipe p
  join water.node a on a.id = p.from_node
  join water.node b on b.id = p.to_node
 cross join typed
 order by p.from_node, p.to_node;

update water.pipe set status = 'disused' where mod(id, 97) = 0;
update water.node set status = 'planned', remark = 'new building site' where kind = 'junction' and id in (5, 6, 29, 30);

insert into water.customer (name, street, house_number, postcode, email, since)
select case
           when mod(n, 41) = 0 then 'Bakery ' || last
           when mod(n, 29) = 0 then last || ' & Daughters'
           else first || ' ' || last
       end,
       (array['Quay', 'Mill Lane', 'Church Street', 'Upper Vineyards', 'Tannery Row'])[1 + mod(n, 5)],
       (1 + n / 5)::text || case when mod(n, 13) = 0 then 'a' else '' end,
       (8400 + mod(n, 3))::text,
       case when mod(n, 3) <> 0 or mod(n * 11, 40) >= 35 then lower(first) || n || '@example.org' end,
       date '1985-01-01' + mod(n * 11, 40) * 365 + n
  from generate_series(1, 400) n,
       lateral (select
           (array['Ada', 'Bruno', 'Carla', 'Dario', 'Elin', 'Femke', 'Goran', 'Hana', 'Ivo', 'Jana'])[1 + mod(n, 10)] as first,
           (array['Keller', 'Lindt', 'Moreau', 'Novak', 'Olsen', 'Petit', 'Rossi'])[1 + mod(n * 3, 7)] as last
       ) called
 order by n;

-- Every twelfth connection got a new meter in 2021.
insert into water.meter (serial_number, node, customer, installed_on, removed_on)
select 'A' || lpad(n::text, 6, '0'), 1000 + n, n, date '2012-05-01' + mod(n, 300),
       case when mod(n, 12) = 0 then date '2021-06-15' end
  from generate_series(1, 400) n
 order by n;
insert into water.meter (serial_number, node, customer, installed_on)
select 'B' || lpad(n::text, 6, '0'), 1000 + n, n, date '2021-06-15'
  from generate_series(12, 400, 12) n
 order by n;

-- Read at the end of each year, until two of the zones got radio: there each meter sends a reading a day, from 2024 on.
-- What is billed is the end of the year.
insert into water.reading (meter, read_on, value_m3, estimated, billed)
select m.id, day, (day - m.installed_on) * (60 + mod(m.customer * 53, 190)) / 365 + mod(m.customer * year, 19), mod(m.id + year, 17) = 0, year < 2025
  from water.meter m
  join water.node n on n.id = m.node,
       generate_series(2016, 2025) year, lateral (select make_date(year, 12, 31) as day) ended
 where day >= m.installed_on and day < coalesce(m.removed_on, 'infinity') and (year < 2024 or n.zone = 3)
 order by day, m.id;
insert into water.reading (meter, read_on, value_m3, billed)
select m.id, day, (day - m.installed_on) * (60 + mod(m.customer * 53, 190)) / 365 + 18, day = '2024-12-31'
  from water.meter m
  join water.node n on n.id = m.node,
       generate_series(0, 730) since, lateral (select date '2024-01-01' + since as day) sent
 where m.removed_on is null and n.zone <> 3
 order by day, m.id;
