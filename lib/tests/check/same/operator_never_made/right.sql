create operator === (leftarg = integer, rightarg = bigint, function = f);
create operator ~== (leftarg = integer, rightarg = bigint, function = f, negator = !==);
drop operator ~== (integer, bigint);
