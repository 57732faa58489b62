comment on language l is 'two';
