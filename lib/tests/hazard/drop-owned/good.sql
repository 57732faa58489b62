create role pum_leaving;
reassign owned by pum_leaving to current_user;
drop role pum_leaving;
