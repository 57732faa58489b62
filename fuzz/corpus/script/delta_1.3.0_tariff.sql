-- Prices with their time. The variables water_price and currency hold from the year of the oldest reading on.

create table water.tariff (
    id integer generated always as identity constraint tariff_pkey primary key,
    valid daterange not null constraint tariff_valid_check check (not isempty(valid)),
    price_per_m3 numeric(8,4) not null constraint tariff_price_per_m3_check check (price_per_m3 > 0),
    currency character(3) not null constraint tariff_currency_check check (currency ~ '^[A-Z]{3}$'),
    constraint tariff_valid_excl exclude using gist (valid with &&)
);
comment on constraint tariff_valid_excl on water.tariff is 'One price at a time';

insert into water.tariff (valid, price_per_m3, currency)
select daterange(date_trunc('year', coalesce(min(read_on), current_date))::date, null),
       %(water_price)s::numeric, %(currency)s
  from water.reading;
