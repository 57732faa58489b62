create view water.bill as
    select c.number, c.name, u.year, u.used_m3, round(u.used_m3 * t.price_per_m3, 2) as amount, t.currency
      from water.consumption_by_year u
      join water.customer c on c.id = u.customer
      join water.tariff t on t.valid @> make_date(u.year, 12, 31);

update water_sys.setting set value = '1.3.0' where name = 'model_version';
