-- The material of a pipe was free text and becomes a value list.
-- pum: allow adding-field-with-constraint a town has some thousand pipes, which takes less than a second
-- pum: allow require-concurrent-index-deletion the pipes are locked for that moment anyhow
-- pum: allow require-concurrent-index-creation the pipes are locked for that moment anyhow

create table water.material (
    id integer constraint material_pkey primary key,
    code text not null constraint material_code_key unique,
    name text not null,
    roughness_mm numeric(5,3) not null constraint material_roughness_mm_check check (roughness_mm > 0),
    service_life_years smallint
);
comment on table water.material is 'What pipes are made of';
comment on column water.material.roughness_mm is 'Equivalent sand roughness of a new pipe';

copy water.material (id, code, name, roughness_mm, service_life_years) from stdin;
0	unknown	unknown	1.000	\N
1	ci	grey cast iron	0.800	80
2	di	ductile cast iron	0.100	100
3	st	steel	0.200	70
4	ac	asbestos cement	0.300	50
5	pvc	polyvinyl chloride	0.010	60
6	pe	polyethylene	0.010	80
\.

alter table water.pipe rename column material to material_text;
alter table water.pipe
    add column material integer not null default 0
        constraint pipe_material_fkey references water.material on update cascade,
    add column remark text;

-- Whatever people typed. The first line that fits wins.
update water.pipe p
   set material = m.id
  from water.material m
 where m.code = case
           when p.material_text ilike '%%ductile%%' or p.material_text ilike 'GGG%%' then 'di'
           when p.material_text ilike '%%cast iron%%' or p.material_text ilike 'GG%%' then 'ci'
           when p.material_text ilike '%%steel%%' then 'st'
           when p.material_text ilike '%%asbestos%%' or p.material_text ilike 'AC%%' then 'ac'
           when p.material_text ilike '%%PVC%%' then 'pvc'
           when p.material_text ilike 'PE%%' or p.material_text ilike '%%polyethylene%%' then 'pe'
       end;

-- What could not be read is kept.
update water.pipe
   set remark = 'material: ' || material_text
 where material = 0 and nullif(trim(material_text), '') is not null;

alter table water.pipe drop column material_text;

drop index water.pipe_zone_idx;
create index pipe_zone_material_idx on water.pipe (zone, material) include (length_m);
