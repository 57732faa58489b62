comment on foreign data wrapper w is 'why';
