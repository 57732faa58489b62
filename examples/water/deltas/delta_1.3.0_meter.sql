-- A connection has one meter at a time, in the past too.
-- pum: allow adding-field-with-default a town has some thousand meters, which takes less than a second
-- pum: allow adding-exclusion-constraint a town has some thousand meters, which takes less than a second
-- pum: allow require-concurrent-index-deletion the meters are locked for that moment anyhow
-- pum: allow require-concurrent-index-creation the meters are locked for that moment anyhow

alter table water.meter
    add column in_use boolean generated always as (removed_on is null) stored,
    add constraint meter_one_per_node exclude using gist
        (int4range(node, node, '[]') with &&, daterange(installed_on, removed_on) with &&);
comment on constraint meter_one_per_node on water.meter is 'A connection has one meter at a time';

drop index water.meter_node_idx;
drop index water.meter_customer_idx;
create index meter_customer_idx on water.meter (customer) where in_use;
