create view water.pipe_overview as
    select p.id, p.from_node, p.to_node, z.code as zone, m.name as material, m.roughness_mm,
           p.diameter_mm, p.laid_in, p.laid_in + m.service_life_years as renew_in, p.length_m, p.status
      from water.pipe p
      join water.pressure_zone z on z.id = p.zone
      join water.material m on m.id = p.material;

create view water.zone_summary as
    select zone, count(*) as pipes, round(sum(length_m) / 1000, 3) as length_km,
           min(laid_in) as oldest, count(*) filter (where laid_in is null) as age_unknown
      from water.pipe_overview
     where status in ('operating', 'disused')
     group by zone;
comment on view water.zone_summary is 'Length and age of the pipes of each pressure zone';

update water_sys.setting set value = '1.1.0' where name = 'model_version';
