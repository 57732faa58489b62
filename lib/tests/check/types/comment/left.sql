comment on type e is 'one';
