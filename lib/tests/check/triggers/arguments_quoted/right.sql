create trigger x before update on t for each row execute function f('it''s', '', 'ö\b');
