create operator === (leftarg = bigint, rightarg = integer, function = g, commutator = ===);
create operator === (leftarg = integer, rightarg = bigint, function = f, commutator = ===);
alter operator === (integer, bigint) set (restrict = none);
