create operator === (leftarg = bigint, rightarg = bigint, function = f);
