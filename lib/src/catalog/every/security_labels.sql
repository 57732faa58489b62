-- Nothing yet.
select null as address, null as security_labels where false
