comment on operator === (integer, integer) is 'one';
