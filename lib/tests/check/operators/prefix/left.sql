create operator === (rightarg = integer, function = f);
