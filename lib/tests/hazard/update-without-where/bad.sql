update s.pipe set code = upper(code), (zone, label) = (1, 'x');
with new as (update s.zone set name = 'x' returning id) select count(*) from new;
