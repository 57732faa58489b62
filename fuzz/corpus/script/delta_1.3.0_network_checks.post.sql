alter table water.customer validate constraint customer_contact_check;
