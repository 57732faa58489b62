create operator === (leftarg = integer, rightarg = bigint, function = f, commutator = ===);
create operator === (leftarg = bigint, rightarg = integer, function = g, commutator = ===);
