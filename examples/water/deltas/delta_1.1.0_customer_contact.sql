-- How to reach a customer, and which zone feeds which.

alter table water.customer
    add column phone text,
    add column language character(2) not null default 'en';

create view water.customer_contact with (security_barrier = true) as
    select number, name, coalesce(email, phone) as contact, language
      from water.customer
     where email is not null or phone is not null;

-- pum: allow adding-field-with-constraint a town has a handful of pressure zones
alter table water.pressure_zone
    add column fed_by integer constraint pressure_zone_fed_by_fkey references water.pressure_zone on delete set null
        constraint pressure_zone_fed_by_check check (fed_by <> id);
comment on column water.pressure_zone.fed_by is 'The zone above, from which this one gets its water';
