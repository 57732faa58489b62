create trigger x after update on t referencing new table as m for each statement execute function f();
