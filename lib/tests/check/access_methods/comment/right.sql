comment on access method a is 'two';
