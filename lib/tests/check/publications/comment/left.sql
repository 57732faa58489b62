comment on publication p is 'why';
