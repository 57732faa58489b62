comment on type e is 'two';
