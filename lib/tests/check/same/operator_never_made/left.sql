create operator === (leftarg = integer, rightarg = bigint, function = f);
