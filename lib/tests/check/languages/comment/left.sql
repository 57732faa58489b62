comment on language l is 'one';
