create operator === (leftarg = integer, rightarg = integer, function = f, hashes);
