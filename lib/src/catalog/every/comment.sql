-- Nothing yet.
select null as address, null as comment where false
