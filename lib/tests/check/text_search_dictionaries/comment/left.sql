comment on text search dictionary d is 'one';
