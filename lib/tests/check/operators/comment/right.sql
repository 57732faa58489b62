comment on operator === (integer, integer) is 'two';
