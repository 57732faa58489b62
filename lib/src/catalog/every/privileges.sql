-- Nothing yet.
select null as address, null as privileges where false
