create operator === (leftarg = integer, rightarg = integer, function = h);
