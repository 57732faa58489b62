comment on server s is 'why';
