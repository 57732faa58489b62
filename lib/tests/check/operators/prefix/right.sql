create operator === (rightarg = integer, function = g);
