comment on access method a is 'one';
