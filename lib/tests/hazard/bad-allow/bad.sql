-- pum: allow no-such-rule for a reason
select 1;
select 2; -- pum: allow ban-drop-table
